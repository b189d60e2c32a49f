namespace Mesh.Hosting;

/// <summary>Whether the mesh is on in this process (contracts §1: with nothing configured it is off).</summary>
internal sealed record MeshActivation(bool IsOn);
