using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Translation;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.JwtAuthn;
using Mesh.Protos.Envoy.LoadBalancing;
using Mesh.Protos.Envoy.NetworkFilters;
using Mesh.Protos.Envoy.Path;
using Mesh.Protos.Envoy.Route;
using Mesh.Protos.Envoy.Tls;
using Mesh.Protos.Traffic;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Xunit;
using HttpRbac = Mesh.Protos.Envoy.Filters.RBAC;
using RoutePolicy = Mesh.Protos.Traffic.RoutePolicy;

namespace Mesh.ControlPlane.Tests.Translation;

/// <summary>
/// Golden/&lt;case&gt;/in.yaml and ask.txt → out.json. Rewritten with MESH_UPDATE_GOLDEN=1, then reviewed as a diff.
/// A line of ask.txt: <c>mesh|sidecar|grpc|grpc+tls[@account] &lt;namespace&gt; LDS|RDS|CDS|EDS &lt;name&gt;</c>, with an account on an authenticated stream, and <c>!region/zone/node</c> behind it where the caller is; <c>RBAC ip:port</c> is what such a node is told to enforce there;
/// <c>meshed ip:port …</c> marks endpoints, <c>+tcp</c> behind one that a sidecar serves; <c>defaults permissive|strict &lt;access&gt;</c> are the control plane's options; <c>problems</c> prints what is wrong with in.yaml.
/// </summary>
public partial class GoldenTests
{
    private static readonly JsonFormatter Json = new(JsonFormatter.Settings.Default.WithIndentation("  ").WithTypeRegistry(TypeRegistry.FromMessages(
        HttpConnectionManager.Descriptor, Router.Descriptor, UpstreamTlsContext.Descriptor, DownstreamTlsContext.Descriptor,
        HTTPFault.Descriptor, FilterConfig.Descriptor, RoutePolicy.Descriptor, ClusterPolicy.Descriptor, InboundLimits.Descriptor, UriTemplateMatchConfig.Descriptor,
        WrrLocality.Descriptor, RoundRobin.Descriptor, LeastRequest.Descriptor, RingHash.Descriptor, PickFirst.Descriptor, ClientSideWeightedRoundRobin.Descriptor,
        HttpRbac.Descriptor, RBACPerRoute.Descriptor, Mesh.Protos.Envoy.NetworkFilters.RBAC.Descriptor, TcpProxy.Descriptor, JwtAuthentication.Descriptor,
        StatefulSession.Descriptor, StatefulSessionPerRoute.Descriptor, CookieBasedSessionState.Descriptor, HeaderBasedSessionState.Descriptor)));

    public static TheoryData<string> Cases => [.. Directory.GetDirectories(Folder()).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Case_TranslatesAsRecorded(string name)
    {
        var folder = Path.Combine(Folder(), name);
        var actual = Run(File.ReadAllText(Path.Combine(folder, "in.yaml")), File.ReadAllLines(Path.Combine(folder, "ask.txt")));
        var golden = Path.Combine(folder, "out.json");
        if (Environment.GetEnvironmentVariable("MESH_UPDATE_GOLDEN") == "1")
        {
            File.WriteAllText(golden, actual);
        }

        Assert.True(File.Exists(golden), $"{golden} is missing. Run with MESH_UPDATE_GOLDEN=1 and review it.");
        Assert.Equal(File.ReadAllText(golden), actual);
    }

    private static string Run(string yaml, string[] asks)
    {
        var lines = Lines(asks);
        return Answers(Manifests.Model(yaml, Meshed(lines)), lines);
    }

    internal static string[] Lines(string[] asks) => [.. asks.Select(a => a.Trim()).Where(a => a.Length > 0 && a[0] != '#')];

    /// <summary>The endpoints that a case marks.</summary>
    internal static string[] Meshed(string[] lines) => [.. lines.Where(l => l.StartsWith("meshed ", StringComparison.Ordinal)).SelectMany(l => l.Split(' ')[1..])];

    internal static string Answers(MeshModel model, string[] lines)
    {
        var options = new TranslationOptions(Manifests.TrustDomain, "cluster.local");
        if (lines.FirstOrDefault(l => l.StartsWith("defaults ", StringComparison.Ordinal))?.Split(' ') is [_, var mtls, var word])
        {
            Assert.True(AccessModes.TryParse(word, out var access));
            options = options with { Defaults = ServerDefaults.Default with { Mtls = mtls == "strict" ? MtlsMode.Strict : MtlsMode.Permissive, Access = access } };
        }

        var text = new StringBuilder("{\n");
        var first = true;
        foreach (var line in lines.Where(l => !l.StartsWith("meshed ", StringComparison.Ordinal) && !l.StartsWith("defaults ", StringComparison.Ordinal)))
        {
            text.Append(first ? string.Empty : ",\n").Append("  \"").Append(line).Append("\": ").Append(Indent(Answer(options, model, line)));
            first = false;
        }

        return text.Append("\n}\n").ToString();
    }

    private static string Answer(TranslationOptions options, MeshModel model, string line)
    {
        if (line == "problems")
        {
            return "[" + string.Join(',', model.Problems.Select(p => $"\n  {Quote($"{p.Where}: {p.What}")}")) + "\n]";
        }

        var parts = line.Split(' ', 4);
        var (who, place) = parts[0].Split('!') is [var caller, var at] ? (caller, at.Split('/')) : (parts[0], []);
        var (kind, account) = who.Split('@') is [var named, var sa] ? (named, sa) : (who, null);
        var node = new NodeContext("client-1", parts[1], account is null ? null : SpiffeId.ForServiceAccount(Manifests.TrustDomain, parts[1], account))
        {
            IsMesh = kind is "mesh" or "sidecar",
            IsTransparent = kind == "sidecar",
            HasDefaultTls = kind == "grpc+tls",
            InstanceIps = ["127.0.0.1"],
            Place = place is [var region, var zone, var host] ? new Place(region, zone, host) : Place.Unknown,
        };
        if (parts[2] == "RBAC")
        {
            return Json.Format(Enforced(options, model, node, parts[3]));
        }

        var type = parts[2] switch
        {
            "LDS" => XdsTypes.Listener,
            "RDS" => XdsTypes.RouteConfiguration,
            "CDS" => XdsTypes.Cluster,
            _ => XdsTypes.ClusterLoadAssignment,
        };
        var result = new ResourceTranslator(options).Translate(model, node, type, parts[3]);
        if (result.Message is null)
        {
            return $"{{ \"doesNotExist\": {Quote(result.Reason!)} }}";
        }

        Assert.Null(result.Reason);
        var again = new ResourceTranslator(options).Translate(model with { }, node, type, parts[3]);
        Assert.Equal(result.Message.ToByteArray(), again.Message!.ToByteArray());
        var decoded = ResourceDecoder.Decode(type, result.Message.ToByteString());
        var json = Json.Format(result.Message);
        Assert.True(decoded.Model is not null, $"{line}: {string.Join("; ", decoded.Errors)}");
        Assert.Equal(parts[3], decoded.Name);
        return json;
    }

    private static HttpConnectionManager Enforced(TranslationOptions options, MeshModel model, NodeContext node, string address)
    {
        Assert.True(ResourceNames.TryAddress(address, out var ip, out var port));
        var place = InboundPlace.Find(new AuthorizationIndex(model, options.Defaults), node, ip, port);
        var translator = new AuthorizationTranslator(options.TrustDomain, options.Defaults);
        var (policies, audience) = (new EffectivePolicies(model), RuleAudience.Of(node));
        var filter = ListenerTranslator.InboundHttp(translator.Filters(place, policies, audience), translator.Routes(place, policies, audience));
        return filter.TypedConfig.Unpack<HttpConnectionManager>();
    }

    private static string Quote(string text) => '"' + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + '"';

    private static string Indent(string json) => LineBreak().Replace(json, "\n  ");

    internal static string FolderOf(string name) => Path.Combine(Folder(), name);

    private static string Folder([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "Golden"));

    [GeneratedRegex(@"\r?\n")]
    private static partial Regex LineBreak();
}
