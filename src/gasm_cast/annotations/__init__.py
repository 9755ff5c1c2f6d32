"""Annotations as people have them, read into one table of clips and labels. No torch, no video."""

from gasm_cast.annotations.files import VIDEO_SUFFIXES, find_video_folder, is_video, video_files
from gasm_cast.annotations.reading import read_annotations
from gasm_cast.annotations.sources import ALL, SPLITS, available_splits
from gasm_cast.annotations.splits import fold_table, natural_key, split_table, write_annotations
from gasm_cast.annotations.table import UNLABELLED, ClipTable, cross_split_duplicates, same_classes
from gasm_cast.annotations.templates import coarse_groups, flip_labels, flip_pairs, strip_brackets

__all__ = [
    "ALL",
    "SPLITS",
    "UNLABELLED",
    "VIDEO_SUFFIXES",
    "ClipTable",
    "available_splits",
    "coarse_groups",
    "cross_split_duplicates",
    "find_video_folder",
    "flip_labels",
    "flip_pairs",
    "fold_table",
    "is_video",
    "natural_key",
    "read_annotations",
    "same_classes",
    "split_table",
    "strip_brackets",
    "video_files",
    "write_annotations",
]
