using System.Net;

namespace Mesh.Client.Coexistence;

/// <summary>A request that goes through one resilience handler and no further: on its way the handler's options show whose it is. No server sees it.</summary>
internal sealed class ProbeRequest() : HttpRequestMessage(HttpMethod.Get, Address)
{
    // RFC 2606 §2: never a host.
    private static readonly Uri Address = new("http://probe.invalid/");

    /// <summary>Name of the <c>HttpStandardResilienceOptions</c> that it passed; null is none.</summary>
    public string? Standard { get; set; }

    /// <summary>Name of the <c>HttpStandardHedgingResilienceOptions</c> that it passed; null is none.</summary>
    public string? Hedging { get; set; }

    /// <summary>The handler sends to hosts of its own choice.</summary>
    public bool IsRerouted => RequestUri != Address;

    public HttpResponseMessage Answer() => new(HttpStatusCode.OK) { RequestMessage = this };
}
