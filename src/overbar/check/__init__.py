"""`python -m overbar check`: what every primitive can do in each framework, measured on the user's own machine.

May import everything of overbar, and frameworks and fronts inside functions. `agreement` computes one thing in all
frameworks, `cells` makes the cells of the table of it, `peers` holds the same cells of the frameworks' own functions,
`run` does the work in processes and prints it.
"""
