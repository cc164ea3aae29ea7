"""Files that say who is plugged in, what happens when and how it must end; and what plays them."""
