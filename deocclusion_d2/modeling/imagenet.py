"""ImageNet's statistics of RGB values in [0, 1], apart from what loads torch: configs need them."""

PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)
