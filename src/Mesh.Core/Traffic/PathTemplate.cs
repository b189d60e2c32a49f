namespace Mesh.Traffic;

/// <summary>The shape of a path with named parts (xDS uri_template). Immutable and thread-safe.</summary>
internal sealed record PathTemplate(string Text);
