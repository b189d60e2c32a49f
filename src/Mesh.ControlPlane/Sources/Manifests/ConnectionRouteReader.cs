using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads a TLSRoute or TCPRoute (gateway.networking.k8s.io): one rule with backends, and for TLS the server names.</summary>
internal static class ConnectionRouteReader
{
    public const string TlsKind = "TLSRoute";
    public const string TcpKind = "TCPRoute";

    /// <summary>The newest first.</summary>
    public static readonly string[] TlsVersions = [ManifestParser.Gateway, "gateway.networking.k8s.io/v1alpha3", "gateway.networking.k8s.io/v1alpha2"];
    public static readonly string[] TcpVersions = ["gateway.networking.k8s.io/v1alpha2", ManifestParser.Gateway];

    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        var where = root.Where;
        var spec = root.Map("spec", required: true);
        if (spec is null)
        {
            return null;
        }

        var parents = RouteFields.Parents(spec, key);
        var hostnames = key.Kind == TlsKind ? Hostnames(spec) : [];
        spec.Ignore("useDefaultGateways");
        var rules = spec.Maps("rules");
        if (rules.Count == 0)
        {
            spec.Missing("rules", "Add one rule with backendRefs.");
        }
        else if (rules.Count > 1)
        {
            spec.Problems.Refuse(rules[1].Node, $"{spec.Field("rules")} has {rules.Count} entries. A {key.Kind} has one: nothing tells their connections apart.{(key.Kind == TlsKind ? " Write a TLSRoute for each set of hostnames." : string.Empty)}");
        }

        var (backends, backendsWhere) = rules.Count == 1 ? Rule(rules[0], key) : ([], []);
        spec.Close();
        return new ConnectionRouteManifest(key, where, meta.Created, hostnames, parents, backends, backendsWhere) { Findings = [.. spec.Problems.Findings] };
    }

    private static (ImmutableArray<BackendRef> Backends, ImmutableArray<string> Where) Rule(YamlMap rule, ManifestKey route)
    {
        rule.Ignore("name");
        foreach (var field in (ReadOnlySpan<string>)["matches", "filters", "timeouts", "retry", "sessionPersistence"])
        {
            if (rule.Find(field) is { } unsupported)
            {
                rule.Problems.Refuse(unsupported, $"{rule.Field(field)} has no meaning for a {route.Kind}, whose bytes are not read. Remove it, or use an HTTPRoute.");
            }
        }

        foreach (var backend in rule.Maps("backendRefs"))
        {
            if (backend.Find("filters") is { } filters)
            {
                rule.Problems.Refuse(filters, $"{backend.Field("filters")} has no meaning for a {route.Kind}, whose bytes are not read. Remove it, or use an HTTPRoute.");
            }
        }

        var read = RouteFields.Backends(rule, route, answers: false);
        rule.Close();
        return read;
    }

    private static ImmutableArray<string> Hostnames(YamlMap spec)
    {
        var result = ImmutableArray.CreateBuilder<string>();
        foreach (var (text, node, path) in spec.Texts("hostnames"))
        {
            var name = text.StartsWith("*.", StringComparison.Ordinal) ? text[2..] : text;
            if (!Names.IsSubdomain(name) || System.Net.IPAddress.TryParse(name, out _))
            {
                spec.Problems.Refuse(node, $"{path} is '{text}'. Use a host name such as db.example.com, or '*.' and one, in lower case.");
            }
            else if (!result.Contains(text))
            {
                result.Add(text);
            }
        }

        if (spec.Texts("hostnames").Count == 0)
        {
            spec.Missing("hostnames", "Add the TLS server names it takes; for connections of any name use a TCPRoute.");
        }

        return result.ToImmutable();
    }
}
