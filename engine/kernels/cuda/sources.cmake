# What libstepdown-cuda.so is made of; tests/emulation compiles the same as C++.
set(STEPDOWN_CUDA_SOURCES module rms_norm multiply place attend gate summarize lead)
set(STEPDOWN_WEIGHT_FORMATS 0 1 2 3 4 5 6 7 8 9 10 11 12)  # indices of kWeightFormats
set(STEPDOWN_HEAD_DIMS 64 128 256)
