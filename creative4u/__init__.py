"""Choose between two creatives of one product, with reasons."""
