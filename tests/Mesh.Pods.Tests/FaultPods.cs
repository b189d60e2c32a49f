using Mesh.Testing;
using Mesh.Testing.Namespaces;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>A mesh whose parts are ended: <c>caller</c> calls the Service <c>store</c> of the pods <c>a</c> and <c>b</c>; <c>job</c> is for what begins and ends.</summary>
public sealed class FaultPods : IAsyncLifetime
{
    public const int Http = 8000;
    public const string Url = "http://10.96.0.1:8000";
    public const string OtherUrl = "http://10.96.0.2:8000";

    private PodMesh? _mesh;

    /// <summary>The mesh; skips the test where there can be none.</summary>
    internal PodMesh Mesh
    {
        get
        {
            Assert.SkipWhen(NetworkNamespace.SkipReason is not null, NetworkNamespace.SkipReason ?? "");
            return _mesh!;
        }
    }

    public async ValueTask InitializeAsync()
    {
        if (NetworkNamespace.SkipReason is not null)
        {
            return;
        }

        _mesh = await PodMesh.StartAsync([new("caller", "caller"), new("a", "store"), new("b", "store"), new("job", "job")], mesh => Manifests.Service("store", 1, "store", [("http", Http)], mesh["a"], mesh["b"]));
        try
        {
            await Task.WhenAll(_mesh.StartSidecarsAsync("caller", "a", "b"), ServeAsync("a"), ServeAsync("b"));
            await _mesh.WaitUntilMeshedAsync("store");
        }
        catch
        {
            await _mesh.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_mesh is not null)
        {
            await _mesh.DisposeAsync();
        }
    }

    internal async Task ServeAsync(string pod) => await _mesh![pod].ServeAsync(Programs.Python, Programs.App("server.py"), pod, $"http={Http}");

    /// <summary>Waits until the caller gets answers from both.</summary>
    internal async Task BothAnswerAsync()
    {
        var seen = new HashSet<string>();
        await Eventually.Async(
            async () =>
            {
                using var answer = await Mesh["caller"].GetAsync(Url + "/both");
                if (answer.IsSuccessStatusCode && answer.Headers.TryGetValues("x-server", out var server))
                {
                    seen.Add(server.Single());
                }

                return seen.Count == 2;
            },
            "both pods answer the caller",
            PodMesh.StartLimit);
    }

    /// <summary>The same of each address of each, so that every one has been told what it accepts: what comes first when nobody can tell is refused.</summary>
    internal async Task EveryAddressAnswersAsync()
    {
        foreach (var address in new[] { Mesh["a"], Mesh["b"] }.SelectMany(pod => new[] { pod.IpV4, pod.IpV6 }))
        {
            var url = new UriBuilder(Uri.UriSchemeHttp, address.ToString(), Http, "/each").ToString();
            await Eventually.Async(
                async () =>
                {
                    using var answer = await Mesh["caller"].GetAsync(url);
                    return answer.IsSuccessStatusCode;
                },
                $"{url} answers the caller",
                PodMesh.StartLimit);
        }
    }
}

/// <summary>Tests that share it, one after the other; each leaves it whole.</summary>
[CollectionDefinition(Name)]
public sealed class FaultPodsGroup : ICollectionFixture<FaultPods>
{
    public const string Name = "fault pods";
}
