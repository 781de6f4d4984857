"""What lies in the folder of a decomposition, for whoever opens it."""

README_FILE = "README.txt"

README = """\
A photo taken apart by deocclusion_d2.

overview.png     all of it at a glance, with a legend
samples.png      where several completions of objects were drawn: each on its own, with its weight
regions.png      where the detector keeps what it has made of each object's region
photo.png        what is seen while nothing is edited; where layers have hard edges there is none
background.png   the photo without its objects; what they hid is made up
layers/NAME.png  every object, whole: its window of the photo with transparency; what others hid of
                 it is made up
graph.json       who hides whom, and where each object lies:

  file_name, width, height   the photo; all lengths are pixels, x to the right, y downwards
  objects                    in no order from front to back
    name                     unique; edits name the object by it
    category, category_id    as in the masks' file; instance_id is the annotation's id there
    layer                    its file
    x0, y0                   where in the photo the top left pixel of that file lies
    bbox                     of the whole object: [x, y, width, height]
    modal_bbox               of its visible part
    occlusion_rate           share of it that is hidden, 0 to 1
    segmentation             mask of the whole object (amodal), COCO's compressed RLE; for example
                             pycocotools.mask.decode(entry["segmentation"]) gives height x width
    modal_segmentation       mask of its visible part
    samples                  only where several completions of it were drawn: a list, each with the
                             segmentation of the whole object as it may be, and with weight, the
                             share of the draws that gave it; segmentation above is the one chosen
  edges                      [A, B]: A is in front of B and hides a part of it
  edge_confidences           of each edge, in the same order: 0 is a guess, 1 is sure, null unknown
  neighbours                 pairs that touch; without an edge, no order is known
  mutual                     pairs that hide parts of each other; increments are the pixels that
                             each gained, completed against the other
  method                     what made this: methods, thresholds, checksums of weights
  version, further_files,    for programs: the version of this format, the files that lie beside it,
  request                    and what was asked for, where it is noted

Draw the layers over the background, those in front last, and the photo is there again, but for the
soft edges of objects.
deocclusion-d2 edit moves, deletes and reorders objects, also in a browser (--html).
"""
