using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Injector;

/// <summary>Variables of containers that are called as those <see cref="LibraryPatch"/> writes, and were there before: which of them are their owner's is not to be seen afterwards, so a pod says it.</summary>
internal sealed class OwnVariables
{
    private readonly SortedSet<string> _known;
    private readonly bool _injected;
    private readonly int _before;

    private OwnVariables(IEnumerable<string> known, bool injected)
    {
        _known = new SortedSet<string>(known, StringComparer.Ordinal);
        (_injected, _before) = (injected, _known.Count);
    }

    /// <summary>Those that a pod says it has.</summary>
    public static OwnVariables Of(JsonObject pod)
    {
        var annotations = pod.Object("metadata").Texts("annotations");
        return new OwnVariables(
            annotations.GetValueOrDefault(Annotations.OwnVariables, string.Empty).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), annotations.ContainsKey(Annotations.Injected));
    }

    public bool Has(JsonObject container, string variable) => _known.Contains(Name(container, variable));

    /// <summary>Those of a container, before anything is written into it. One that was written into before, where the webhook is asked again, has none but those that are known.</summary>
    public void Add(JsonObject container)
    {
        if (!container.Objects("volumeMounts").Any(m => m.Text("name") == InjectedNames.Volume || (_injected && LibraryPatch.IsOurPlace(m))))
        {
            _known.UnionWith(container.Objects("env").Select(e => e.Text("name")).OfType<string>().Where(LibraryPatch.Names.Contains).Select(v => Name(container, v)));
        }
    }

    public void Mark(JsonPatch patch)
    {
        if (_known.Count > _before)
        {
            patch.Set(string.Join(',', _known), "metadata", "annotations", Annotations.OwnVariables);
        }
    }

    private static string Name(JsonObject container, string variable) => $"{container.Text("name")}/{variable}";
}
