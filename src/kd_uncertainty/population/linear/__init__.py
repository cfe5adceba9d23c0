"""Linear students in closed form: populations of least-squares fits, without a training loop.

``make_design`` prepares the inputs once; ``noisy_students`` (one noisy teacher, common inputs) and
``bootstrap_students`` (each student on its own resample) say how a student follows from its seed; and
``train_students`` or ``linear_population`` run them, the latter in bounded memory.
"""
