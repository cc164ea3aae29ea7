"""One file for each screen: a function that draws a snapshot's part into a box of a canvas, and nothing else."""
