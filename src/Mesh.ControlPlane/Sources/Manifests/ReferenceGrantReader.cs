using System.Collections.Immutable;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads a ReferenceGrant: which routes of other namespaces may point at Services of this one.</summary>
internal static class ReferenceGrantReader
{
    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        var where = root.Where;
        var spec = root.Map("spec", required: true);
        if (spec is null)
        {
            return null;
        }

        var from = ImmutableArray.CreateBuilder<GrantFrom>();
        foreach (var item in spec.Maps("from"))
        {
            var group = item.Text("group");
            var kind = item.Text("kind", required: true);
            var ns = item.Text("namespace", required: true);
            item.Close();
            if (group == RouteFields.GatewayGroup && kind is not null && ns is not null)
            {
                from.Add(new GrantFrom(kind, ns));
            }
        }

        var to = ImmutableArray.CreateBuilder<string?>();
        foreach (var item in spec.Maps("to"))
        {
            var group = item.Text("group") ?? string.Empty;
            var kind = item.Text("kind", required: true);
            var name = item.Text("name");
            item.Close();
            if (group.Length == 0 && kind == "Service")
            {
                to.Add(name);
            }
        }

        foreach (var list in (ReadOnlySpan<string>)["from", "to"])
        {
            if (spec.Find(list) is null)
            {
                spec.Missing(list, "Add at least one entry.");
            }
        }

        spec.Close();
        return new ReferenceGrantManifest(key, where, from.ToImmutable(), to.ToImmutable());
    }
}
