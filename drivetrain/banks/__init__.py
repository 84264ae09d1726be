"""Where scenes come from: banks that stay, and banks that are fed while training runs."""
