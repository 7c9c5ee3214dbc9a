"""The page: two images, a title and interests in; a reasoned choice, history and feedback out."""
