namespace Mesh.Testing.Kubernetes;

/// <summary>One request that was answered.</summary>
/// <param name="Resource">As refusals name it (<c>pods</c>, <c>deployments.apps</c>), with <c>/status</c> for a subresource; empty for discovery.</param>
internal sealed record LoggedRequest(string Method, string Path, string Query, string Verb, string Resource, string Namespace, string Name, string UserAgent)
{
    /// <summary>Known when answered; of a watch, when it has ended.</summary>
    public int Status { get; set; }

    /// <summary>Known when answered.</summary>
    public string User { get; set; } = "";
}

/// <summary>What was asked of the server, in order, for a test to count.</summary>
internal sealed class RequestLog
{
    private readonly Lock _lock = new();
    private readonly List<LoggedRequest> _requests = [];

    public IReadOnlyList<LoggedRequest> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _requests];
            }
        }
    }

    public int Count(string verb, string resource) => All.Count(r => r.Verb == verb && r.Resource == resource);

    public void Add(LoggedRequest request)
    {
        lock (_lock)
        {
            _requests.Add(request);
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _requests.Clear();
        }
    }
}
