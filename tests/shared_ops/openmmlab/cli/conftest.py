"""The command line comes after the package that it belongs to, which has prepared OpenMMLab's packages."""

from shared_ops.openmmlab import prepare

prepare()
