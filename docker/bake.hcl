# The image for amd64 and arm64, with provenance and an SBOM attached, by a builder of its own:
#
#   docker buildx create --use
#   docker buildx bake -f docker/bake.hcl --set '*.tags=registry.example.com/walhook:0.2.0' --push
#
# CI builds and runs the machine's own platform only, without buildx. By hand: `local` with buildx, and arm64 under QEMU.
# One platform into the local engine: docker buildx bake -f docker/bake.hcl local

variable "VERSION" {
  default = "0.2.0"
}
variable "REVISION" {
  default = "unknown"
}
variable "NODE_IMAGE" {
  default = "node:24-slim"
}

group "default" {
  targets = ["walhook"]
}

target "local" {
  context    = "."
  dockerfile = "docker/Dockerfile"
  args = {
    NODE_IMAGE = NODE_IMAGE
    VERSION    = VERSION
    REVISION   = REVISION
  }
  tags = ["walhook:${VERSION}", "walhook"]
}

target "walhook" {
  inherits  = ["local"]
  platforms = ["linux/amd64", "linux/arm64"]
  attest    = ["type=provenance,mode=max", "type=sbom"]
}
