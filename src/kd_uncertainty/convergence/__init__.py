"""How noisy a student's labels are, and what that does to its training (Morad, Shlezinger & Eldar, 2601.01484)."""
