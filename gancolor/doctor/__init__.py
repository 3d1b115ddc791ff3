"""What is wrong with a set of photographs, before a training finds out: a report, and a list of what to leave out.

:mod:`~gancolor.doctor.examine` looks at one image, :mod:`~gancolor.doctor.survey` at all of them in worker processes,
:mod:`~gancolor.doctor.duplicates` finds those that are there twice, :mod:`~gancolor.doctor.findings` says what it
means, :mod:`~gancolor.doctor.report` writes it down, and :mod:`~gancolor.doctor.checkup` is all of that in order.
"""
