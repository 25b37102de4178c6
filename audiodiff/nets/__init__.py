"""The networks; each follows the denoiser convention of `audiodiff.diffusion`."""
