// Stands in until the host is here.
return;
