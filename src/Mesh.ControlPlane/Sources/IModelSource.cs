namespace Mesh.ControlPlane.Sources;

/// <summary>What brings models in.</summary>
internal interface IModelSource : IAsyncDisposable
{
    /// <summary>Ends when the first model is published.</summary>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>Something outside the source changed (marks): publish again.</summary>
    void Refresh();
}
