namespace Mesh.Hosting;

/// <summary>Thrown at start when the mesh is configured in part or wrongly. The message lists every problem with its fix.</summary>
public sealed class MeshConfigurationException : Exception
{
    /// <summary>Makes the exception from all problems found.</summary>
    /// <param name="problems">One sentence each: what, where, how to fix.</param>
    public MeshConfigurationException(IReadOnlyList<string> problems)
        : base($"Mesh is not configured correctly:{Environment.NewLine}- {string.Join($"{Environment.NewLine}- ", problems)}") => Problems = problems;

    /// <summary>One sentence each: what, where, how to fix.</summary>
    public IReadOnlyList<string> Problems { get; }
}
