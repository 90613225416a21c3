"""The figure that pictures are drawn on; this module imports matplotlib, and is imported when one is drawn."""

from io import BytesIO

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError(
        "pictures are drawn with matplotlib, which is not installed: pip install 'gym-ilrl[plots]'"
    ) from error


class Picture(Figure):
    """A matplotlib figure that no window and no pyplot knows of: nothing to close, the same with and without a screen.

    ``savefig`` writes it to a file, and a notebook shows it as the value of a cell.
    """

    def _repr_png_(self) -> bytes:
        """Return the picture as notebooks ask for it."""
        file = BytesIO()
        self.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue()
