"""Inference comes after the package whose models it runs, which has prepared OpenMMLab's packages."""

from shared_ops.openmmlab import prepare

prepare()
