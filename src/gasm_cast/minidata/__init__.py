"""Something-Something mini: a built-in data set, rendered from one seed.

The real Something-Something V2 may not be redistributed. Mini plays thirty-two of its
templates on a table-top, in the real one's folder layout, with the same demands: many
classes differ only in direction or order of time, many only in what is there, so that
neither motion nor appearance is enough.
"""

from gasm_cast.minidata.generating import Summary, generate
from gasm_cast.minidata.sheet import contact_sheet, require_picture
from gasm_cast.minidata.templates import TEMPLATES

__all__ = ["TEMPLATES", "Summary", "contact_sheet", "generate", "require_picture"]
