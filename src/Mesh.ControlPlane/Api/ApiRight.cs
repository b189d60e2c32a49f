using System.Text.Json.Serialization;

namespace Mesh.ControlPlane.Api;

/// <summary>What a caller of the API may do; each includes those before it.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ApiRight>))]
internal enum ApiRight
{
    /// <summary>See what is, but for what is in requests.</summary>
    [JsonStringEnumMemberName("view")]
    View,

    /// <summary>See requests as they pass.</summary>
    [JsonStringEnumMemberName("tap")]
    Tap,

    [JsonStringEnumMemberName("change")]
    Change,
}

/// <summary>On an endpoint: the right that it takes, where its method does not tell it (GET: view, all else: change).</summary>
internal sealed record NeedsRight(ApiRight Right)
{
    public static ApiRight Of(Endpoint? endpoint, string method) =>
        endpoint?.Metadata.GetMetadata<NeedsRight>()?.Right ?? (HttpMethods.IsGet(method) || HttpMethods.IsHead(method) ? ApiRight.View : ApiRight.Change);
}

/// <summary>Who asks, once that is known; a feature of the request.</summary>
/// <param name="Name">As the audit log has it.</param>
internal sealed record ApiCaller(string Name, ApiRight Right)
{
    public static ApiCaller Of(HttpContext context) => context.Features.Get<ApiCaller>() ?? throw new InvalidOperationException("The request came past the gate of the API.");
}

internal static class ApiRightExtensions
{
    /// <summary>Says which right an endpoint takes, where its method does not tell it.</summary>
    public static TBuilder Needs<TBuilder>(this TBuilder endpoint, ApiRight right)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new NeedsRight(right));
}
