"""THE definition of "recommend": every system that ranks items for a history, behind one protocol."""
