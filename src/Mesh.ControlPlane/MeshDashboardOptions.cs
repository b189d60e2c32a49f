namespace Mesh.ControlPlane;

/// <summary>How <c>MapMeshDashboard()</c> mounts the dashboard in an application of yours.</summary>
public sealed class MeshDashboardOptions
{
    /// <summary>The control plane's HTTP port, such as <c>http://mesh-control-plane.mesh-system:15014</c>. Default: the control plane of this process, added by <c>AddMeshControlPlane()</c>.</summary>
    public Uri? Address { get; set; }

    /// <summary>The token that the control plane at <see cref="Address"/> is asked with: one that may view is enough for a dashboard that only shows. The process' own control plane needs none.</summary>
    public string? Token { get; set; }

    /// <summary>Visitors may watch single requests (tap, top). Default: false.</summary>
    public bool AllowTap { get; set; }

    /// <summary>Visitors may change things, such as making a service slow for a while; includes <see cref="AllowTap"/>. Default: false, the dashboard only shows.</summary>
    public bool AllowChanges { get; set; }

    internal IReadOnlyList<string> Problems(bool embedded)
    {
        var problems = new List<string>();
        if (Address is null && !embedded)
        {
            problems.Add("The dashboard has no control plane. Set MeshDashboardOptions.Address and Token, or add one to this process with services.AddMeshControlPlane(…).");
        }

        if (Address is { } address && (!address.IsAbsoluteUri || address.Scheme is not ("http" or "https")))
        {
            problems.Add($"MeshDashboardOptions.Address is '{address}'. Give the URL of a control plane's HTTP port, such as http://localhost:15014.");
        }

        if (Address is not null && string.IsNullOrWhiteSpace(Token))
        {
            problems.Add("MeshDashboardOptions.Token is empty. Give a token that the control plane at Address accepts: 'view_token' of its ready line is enough to show.");
        }

        return problems;
    }
}
