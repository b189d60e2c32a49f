using System.Text.Json.Serialization;

namespace Mesh.ControlPlane.Insight;

/// <summary>Something that changed: a mark on every chart (docs/api.md).</summary>
/// <param name="Kind">One of <see cref="ChangeKinds"/>.</param>
/// <param name="What">For people, as "HTTPRoute shop/pricing changed: weights 90/10".</param>
/// <param name="Service">Null when it is about none, or more than one.</param>
/// <param name="Version">Of the configuration after it.</param>
internal sealed record MeshChange(DateTimeOffset At, string Kind, string What, string? Namespace, string? Service, string Version)
{
    /// <summary>It mends: no trouble began with it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Recovery { get; init; }
}

/// <summary>The kinds of changes (docs/api.md).</summary>
internal static class ChangeKinds
{
    public const string Config = "config";
    public const string Certificate = "certificate";
    public const string Root = "root";
    public const string Client = "client";
    public const string Fault = "fault";
    public const string ControlPlane = "control_plane";
    public const string Endpoint = "endpoint";
}
