"""Videos -> backbones -> feature store: phase 1 of docs/method.md, at scale."""

from typing import TYPE_CHECKING

from gasm_cast.lazy import offer

if TYPE_CHECKING:
    from gasm_cast.extraction.extracting import ExtractionSummary, extract
    from gasm_cast.extraction.extractor import Extractor
    from gasm_cast.extraction.options import ExtractorOptions, PipelineOptions
    from gasm_cast.extraction.reading import Source
    from gasm_cast.extraction.scanning import Scan, scan
    from gasm_cast.extraction.sources import find_sources, sources_in_folder
else:
    __getattr__, __dir__ = offer(
        __name__,
        {
            "gasm_cast.extraction.extracting": "ExtractionSummary extract",
            "gasm_cast.extraction.extractor": "Extractor",
            "gasm_cast.extraction.options": "ExtractorOptions PipelineOptions",
            "gasm_cast.extraction.reading": "Source",
            "gasm_cast.extraction.scanning": "Scan scan",
            "gasm_cast.extraction.sources": "find_sources sources_in_folder",
        },
    )

__all__ = [
    "ExtractionSummary",
    "Extractor",
    "ExtractorOptions",
    "PipelineOptions",
    "Scan",
    "Source",
    "extract",
    "find_sources",
    "scan",
    "sources_in_folder",
]
