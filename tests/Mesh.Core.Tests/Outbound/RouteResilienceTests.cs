using System.Net;
using Mesh.Config;
using Polly;
using Xunit;

namespace Mesh.Outbound;

public sealed class RouteResilienceTests
{
    [Fact]
    public async Task Execute_CallerGaveUpAfterTheFirstAttempt_DisposesItsResponse()
    {
        var resilience = RouteResilience.Compile(new RouteAction.Forward([new WeightedCluster("c", 1)]), null, TimeProvider.System, new Random(1))!;
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        using var content = new WatchedContent();
        using var first = new HttpResponseMessage(HttpStatusCode.ServiceUnavailable) { Content = content };
        var call = new OutboundCall(null!, request, null!, 0, limits: null, new CancellationToken(canceled: true));

        var outcome = await resilience.ExecuteAsync(call, Outcome.FromResult(first));

        Assert.False(resilience.TimesAttempts);
        Assert.True(outcome.Exception is OperationCanceledException ? content.IsDisposed : ReferenceEquals(outcome.Result, first) && !content.IsDisposed);
    }

    private sealed class WatchedContent : ByteArrayContent
    {
        public WatchedContent()
            : base([])
        {
        }

        public bool IsDisposed { get; private set; }

        protected override void Dispose(bool disposing)
        {
            IsDisposed = true;
            base.Dispose(disposing);
        }
    }
}
