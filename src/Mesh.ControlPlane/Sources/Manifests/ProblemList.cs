using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Collects what is wrong with one object, with where it stands.</summary>
/// <param name="file">Or what else the object is found by.</param>
internal sealed class ProblemList(string file)
{
    private readonly List<(SourceProblem Problem, bool Refuses)> _problems = [];

    /// <summary>Stands before each text, such as <c>Service 'shop/catalog'</c>.</summary>
    public string Subject { get; set; } = string.Empty;

    /// <summary>Of a kind of Kubernetes itself, taken by the API server: what we do not know of it is newer than we are, and refuses nothing.</summary>
    public bool Lenient { get; init; }

    /// <summary>The object cannot be used.</summary>
    public bool Refused { get; private set; }

    /// <summary>Called with the path of every field that a reader asks for: how tests know what readers know.</summary>
    public Action<string>? Asked { get; init; }
    /// <summary>Of a route: what its status shall say.</summary>
    public List<RouteFinding> Findings { get; } = [];

    /// <summary>Of a route: the rule that is being read.</summary>
    public int? Rule { get; set; }

    public IReadOnlyList<(SourceProblem Problem, bool Refuses)> All => _problems;

    public string Where(ManifestNode node) => node.Line == 0 ? file : $"{file}:{node.Line}";

    /// <summary>Something that makes the whole object invalid.</summary>
    public void Refuse(ManifestNode node, string what) => Add(node, what, refuses: true);

    /// <summary>Something that makes an object of a file invalid; of what stands in a cluster already it is left out.</summary>
    public void RefuseOrNote(ManifestNode node, string what) => Add(node, what, refuses: !Lenient);

    /// <summary>Something that is not used, or not as one may expect; the object stays.</summary>
    public void Note(ManifestNode node, string what) => Add(node, what, refuses: false);

    /// <summary>Something of a route that can't be done as it says; the route stays.</summary>
    public void Find(ManifestNode node, string condition, string reason, string what, bool fails = true)
    {
        Findings.Add(new RouteFinding(condition, reason, what, fails) { Rule = Rule });
        Note(node, what);
    }

    private void Add(ManifestNode node, string what, bool refuses)
    {
        Refused |= refuses;
        _problems.Add((new SourceProblem(Where(node), Subject.Length == 0 ? what : $"{Subject}: {what}"), refuses));
    }
}
