@_exported public import BackendInterface
@_exported public import Tensors
