"""``gancolor measure``: how often each color occurs in a set of photographs, and what colors each of them has."""
