#pragma once

#include "engine/kernels/cuda/platform.h"

// The launchers, each in the file of its kernel; module.cu lists them.
namespace stepdown::kernels::cuda {

Failure rms_norm(Stream stream, const RmsNorm& arguments);
Failure multiply(Stream stream, const MatrixProduct& arguments);
Failure place(Stream stream, const Placement& arguments);
Failure attend(Stream stream, const PagedAttention& arguments);
Failure gate(Stream stream, const Gating& arguments);
Failure summarize(Stream stream, const Summary& arguments);
Failure lead(Stream stream, const LeadingRows& arguments);

/// Of the selected device.
int multiprocessors();

}  // namespace stepdown::kernels::cuda
