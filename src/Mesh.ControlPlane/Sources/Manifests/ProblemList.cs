using Mesh.ControlPlane.Model;
using YamlDotNet.RepresentationModel;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Collects what is wrong with one object, with file and line.</summary>
internal sealed class ProblemList(string file)
{
    private readonly List<(SourceProblem Problem, bool Refuses)> _problems = [];

    /// <summary>Stands before each text, such as <c>Service 'shop/catalog'</c>.</summary>
    public string Subject { get; set; } = string.Empty;

    /// <summary>The object cannot be used.</summary>
    public bool Refused { get; private set; }

    /// <summary>Called with the path of every field that a reader asks for: how tests know what readers know.</summary>
    public Action<string>? Asked { get; init; }

    public IReadOnlyList<(SourceProblem Problem, bool Refuses)> All => _problems;

    public string Where(YamlNode node) => $"{file}:{node.Start.Line}";

    /// <summary>Something that makes the whole object invalid.</summary>
    public void Refuse(YamlNode node, string what) => Add(node, what, refuses: true);

    /// <summary>Something that is not used, or not as one may expect; the object stays.</summary>
    public void Note(YamlNode node, string what) => Add(node, what, refuses: false);

    private void Add(YamlNode node, string what, bool refuses)
    {
        Refused |= refuses;
        _problems.Add((new SourceProblem(Where(node), Subject.Length == 0 ? what : $"{Subject}: {what}"), refuses));
    }
}
