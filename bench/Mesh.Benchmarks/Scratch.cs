namespace Mesh.Benchmarks;

/// <summary>A folder that goes with the run.</summary>
internal sealed class Scratch : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("mesh-bench-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
