"""Information-theoretic bounds on how a distilled student generalises, and what they are worth."""
