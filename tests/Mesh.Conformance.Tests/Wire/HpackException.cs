namespace Mesh.Conformance.Tests.Wire;

internal sealed class HpackException(string message) : Exception(message);
