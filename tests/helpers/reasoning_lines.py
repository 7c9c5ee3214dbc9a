"""Ten lines of reasoning that several rooms' tests share."""

LINES = """same_image: different pictures. no
too_similar: plain differences. no
query_hit: both show a boot. A=B
title_hit: A shows the whole boot; B cuts its toe off. A>B
text: B names the price. A<B
props: none in either. A=B
layout: no borders. A=B
subject: A is larger. A>B
background: A is calm; B is cluttered. A>B
click: A leads on title_hit, subject, background; B leads on text"""
