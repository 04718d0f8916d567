from minprune.course import wrong


@wrong("double", "That is the square.")
def squares(values):
    return values**2
