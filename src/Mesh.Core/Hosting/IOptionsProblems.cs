namespace Mesh.Hosting;

/// <summary>What else of the mesh's settings is wrong, from an edge that has its own: reported at start together with the rest.</summary>
internal interface IOptionsProblems
{
    /// <summary>One sentence each: what, where, how to fix.</summary>
    IEnumerable<string> Find();
}
