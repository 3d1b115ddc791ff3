"""``gancolor profiles``: kinds of photographs by their colors, found in what ``gancolor measure`` wrote."""
