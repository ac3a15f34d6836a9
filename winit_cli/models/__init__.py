"""Models. To add one, write its builder in a file of its own and one row here."""

from winit_cli.models import cnn, mlp, recurrent, resnet, transformer
from winit_cli.models.row import Model, Task, construct, materialize
from winit_cli.tables import table

MODELS: dict[str, Model] = table(mlp.MODEL, cnn.MODEL, *recurrent.MODELS, *resnet.MODELS, transformer.MODEL)

__all__ = ["MODELS", "Model", "Task", "construct", "materialize"]
