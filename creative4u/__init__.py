"""Creative4U: two creatives of one product in, a reasoned choice out."""
