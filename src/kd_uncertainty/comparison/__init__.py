"""Which teacher makes the better student: teachers compared by the students that they teach."""
